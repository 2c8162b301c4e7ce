export function Settings(_: { workspace: unknown; limits: unknown; readOnly: boolean }) { return null; }
