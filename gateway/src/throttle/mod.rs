//! Limits: rates, quotas, concurrency.
