// Scopes: whatever is created inside one and not returned from it is disposed when it ends. Models never free anything.

/** Something a scope can own. */
export interface Scoped {
  dispose(): void;
}

/** A stack of open scopes. */
export class ScopeStack {
  readonly #stack: Set<Scoped>[] = [];

  /** Puts a new resource into the innermost scope, if one is open. */
  track(resource: Scoped): void {
    this.#stack.at(-1)?.add(resource);
  }

  /** A resource that its owner disposed early, or keeps beyond the scope. */
  untrack(resource: Scoped): void {
    for (const scope of this.#stack) scope.delete(resource);
  }

  /**
   * Runs `body`; disposes everything tracked meanwhile except what the result holds (itself, or in arrays, Maps and plain
   * objects), which passes to the enclosing scope. `body` must not be asynchronous: another task would land in its scope.
   */
  run<R>(body: () => R): R {
    const scope = new Set<Scoped>();
    this.#stack.push(scope);
    let result: R;
    try {
      result = body();
      if (result instanceof Promise) throw new Error("scope: the body must be synchronous; await outside of it");
      keep(result, (r) => {
        if (scope.delete(r)) this.#stack.at(-2)?.add(r);
      });
    } finally {
      this.#stack.pop();
      for (const r of scope) r.dispose();
    }
    return result;
  }

  /** Runs `body`; what is tracked meanwhile lives until the returned `dispose` is called. */
  hold<R>(body: () => R): { readonly result: R; dispose(): void } {
    const scope = new Set<Scoped>();
    this.#stack.push(scope);
    const dispose = () => {
      for (const r of scope) r.dispose();
    };
    try {
      return { result: body(), dispose };
    } catch (error) {
      dispose();
      throw error;
    } finally {
      this.#stack.pop();
    }
  }
}

function keep(value: unknown, visit: (r: Scoped) => void): void {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
  if ("dispose" in value && typeof value.dispose === "function") visit(value as Scoped);
  else if (Array.isArray(value)) for (const v of value) keep(v, visit);
  else if (value instanceof Map) for (const v of value.values()) keep(v, visit);
  else if (Object.getPrototypeOf(value) === Object.prototype) for (const v of Object.values(value)) keep(v, visit);
}
