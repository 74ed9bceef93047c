// Keys that a JSON text repeats within one object: JSON.parse keeps the last one silently, two readers may then see two
// different files in one. Runs over text already known to be valid JSON.

/**
 * A key that occurs twice in one object down to `depth` levels (1: the outermost object alone), or undefined.
 */
export function repeatedKey(json: string, depth: number): string | undefined {
  const stack: (Set<string> | undefined)[] = [];
  let level = 0;
  let i = 0;
  while (i < json.length) {
    const c = json.charCodeAt(i);
    if (c === 0x7b /* { */ || c === 0x5b /* [ */) {
      level++;
      if (level <= depth) stack.push(c === 0x7b ? new Set() : undefined);
    } else if (c === 0x7d /* } */ || c === 0x5d /* ] */) {
      if (level <= depth) stack.pop();
      level--;
    } else if (c === 0x22 /* " */) {
      const begin = i++;
      while (json.charCodeAt(i) !== 0x22) i += json.charCodeAt(i) === 0x5c ? 2 : 1;
      const keys = level <= depth ? stack.at(-1) : undefined;
      if (keys) {
        let next = i + 1;
        while (json.charCodeAt(next) <= 0x20) next++;
        if (json.charCodeAt(next) === 0x3a /* : */) {
          const raw = json.slice(begin, i + 1);
          const key = raw.includes("\\") ? String(JSON.parse(raw)) : raw.slice(1, -1);
          if (keys.has(key)) return key;
          keys.add(key);
        }
      }
    }
    i++;
  }
  return undefined;
}
