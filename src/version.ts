// The package's version, for recipes and --version. A test holds it equal to package.json's.

/** Version of this package. */
export const version = "0.1.0";
