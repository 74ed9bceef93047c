// What only Vite understands: style sheets as imports.
declare module "*.css";
