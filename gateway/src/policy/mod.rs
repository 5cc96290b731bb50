//! Policy files: raw, checked, built, swapped.
