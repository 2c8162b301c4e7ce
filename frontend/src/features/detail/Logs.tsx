export function Logs(_: { workspace: unknown }) { return null; }
