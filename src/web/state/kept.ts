// What the page remembers by name, where the browser lets it: private windows and blocked site data refuse, and the page works
// without.

export function kept(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // The next visit begins with the defaults.
  }
}
