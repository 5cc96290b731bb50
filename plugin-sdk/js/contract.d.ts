// What the gateway gives to a mapper; the SDK wraps both.
declare module "crossdock:mapper/log@1.0.0" {
  export function write(severity: "info" | "warning" | "error", message: string): void;
}
declare module "crossdock:mapper/tables@1.0.0" {
  export function lookup(table: string, key: string[]): [string, string][] | undefined;
}
