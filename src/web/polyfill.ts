// `Symbol.dispose` for browsers that do not have it yet: the library's classes name it where they are defined, so this
// module is imported before any of them.

const symbols = Symbol as unknown as Record<string, symbol>;
symbols["dispose"] ??= Symbol.for("Symbol.dispose");
symbols["asyncDispose"] ??= Symbol.for("Symbol.asyncDispose");
