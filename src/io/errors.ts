// What reading checkpoints and pictures throws: one sentence that names the file, what was expected, and the cure.

/** A checkpoint that cannot be used: damaged, hostile, of another format, or of another model. */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";
}

/** A text from a file, shortened and made printable, for error messages. */
export function quoted(text: string, limit = 120): string {
  const shown = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return JSON.stringify(shown);
}

/** What a caught value says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A picture, clip or recipe that cannot be read. */
export class PictureError extends Error {
  override readonly name = "PictureError";
}
