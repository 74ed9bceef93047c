// Text-level tools for WGSL modules: specialisation of a complete, valid module by replacing top-level declarations by
// name, and the list of its bindings. No templates: every shader file compiles as it stands.

const DECLARATION = (name: string) => new RegExp(`^(alias|const)\\s+${name}\\b([^=;]*)=([^;]*);`, "m");
const FUNCTION = (name: string) => new RegExp(`^fn\\s+${name}\\s*\\([^]*?^\\}`, "m");
const FUNCTION_LINE = (name: string) => new RegExp(`^fn\\s+${name}\\s*\\(.*\\}[ \\t]*$`, "m");

/** Values of top-level declarations by name: an alias's type, a const's value, or the whole text of a function. */
export type Replacements = Readonly<Record<string, string | number | boolean>>;

/** Source → replacements → text. The source is a key of its own, so that long strings are not joined at each dispatch. */
const cache = new Map<string, Map<string, string>>();

/**
 * Replaces, in a WGSL module, the right-hand side of top-level `alias NAME = …;` and `const NAME = …;` and whole
 * functions `fn NAME(…) … { … }` (the value is then the new function's text, which must begin with `fn NAME(`).
 * Adds `enable f16;` and `enable subgroups;` where the result uses them. The same arguments give the same string object, which keys the
 * pipeline cache.
 * @throws Error where a name is not declared in the module: a misspelt tunable must not pass unnoticed.
 */
export function specialize(source: string, replacements: Replacements): string {
  const texts = cache.get(source) ?? new Map<string, string>();
  cache.set(source, texts);
  const key = JSON.stringify(replacements);
  const known = texts.get(key);
  if (known !== undefined) return known;
  let text = source;
  for (const [name, value] of Object.entries(replacements)) {
    const declaration = DECLARATION(name);
    const fn = FUNCTION_LINE(name).test(text) ? FUNCTION_LINE(name) : FUNCTION(name);
    if (declaration.test(text)) {
      text = text.replace(declaration, (_, kind: string, type: string) => `${kind} ${name}${type}= ${String(value)};`);
    } else if (fn.test(text)) {
      if (!new RegExp(`^fn\\s+${name}\\s*\\(`, "m").test(String(value)))
        throw new Error(
          `specialize: the replacement of fn ${name} must define fn ${name}, got ${String(value).slice(0, 60)}`,
        );
      text = text.replace(fn, () => String(value).trim());
    } else {
      throw new Error(`specialize: the shader declares no top-level alias, const or fn named "${name}"`);
    }
  }
  const spoken = text.replace(/\/\/.*$/gm, "");
  if (/\bf16\b/.test(spoken) && !/^enable f16;/m.test(text)) text = `enable f16;\n${text}`;
  if (/\bsubgroup[A-Z]\w*\(/.test(spoken) && !/^enable subgroups;/m.test(text)) text = `enable subgroups;\n${text}`;
  texts.set(key, text);
  return text;
}

/** One `@group(0) @binding(n) var<…>` of a module. */
export interface BindingDeclaration {
  readonly binding: number;
  readonly type: "uniform" | "read-only-storage" | "storage";
}

/** The bindings of group 0 in order. Binding 0 is by convention the uniform block of parameters. */
export function bindingsOf(source: string): BindingDeclaration[] {
  const found: BindingDeclaration[] = [];
  for (const m of source.matchAll(
    /@group\(0\)\s*@binding\((\d+)\)\s*var<\s*(uniform|storage)\s*(?:,\s*(read_write|read))?\s*>/g,
  )) {
    const type = m[2] === "uniform" ? "uniform" : m[3] === "read_write" ? "storage" : "read-only-storage";
    found.push({ binding: Number(m[1]), type });
  }
  return found.toSorted((a, b) => a.binding - b.binding);
}

const scratch = new DataView(new ArrayBuffer(4));

/** The bits of an f32 as u32, for a float inside a parameter block. */
export function f32Bits(value: number): number {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
}
