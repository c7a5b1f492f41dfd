// Bundles our scripts and styles with their npm dependencies. Usage: node build.mjs OUTDIR
// OUTDIR/python.zip, if it is there, is the Python that runs in the browser, and gets bytecode and an image.
// Lazy `import()` in main.js becomes a chunk of its own, so a page without a console or an editor loads neither.
import { cpSync, existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";
import { bytecode } from "./bytecode.mjs";
import { image } from "./image.mjs";
import { SITE } from "./js/engine/python.js";

const outdir = process.argv[2];
if (!outdir) throw new Error("usage: node build.mjs OUTDIR");

// The engine's worker and the service worker stand alone: no chunk is shared with the page.
const alone = { bundle: true, format: "esm", target: ["es2022"], minify: true, sourcemap: true, charset: "utf8", logLevel: "warning" };
const PYODIDE = ["pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json"];

await build({ ...alone, entryPoints: { worker: "js/engine/worker.js", "policy-worker": "js/engine/policy_worker.js" }, outdir: `${outdir}/engine` });
await build({ ...alone, entryPoints: { "service-worker": "js/service_worker.js" }, outdir });
for (const name of PYODIDE) cpSync(`node_modules/pyodide/${name}`, `${outdir}/engine/pyodide/${name}`);
await build({
  entryPoints: ["js/main.js", "js/author.js", "css/main.css"],
  outbase: ".",
  bundle: true,
  splitting: true,
  format: "esm",
  target: ["es2022"],
  minify: true,
  sourcemap: true,
  legalComments: "linked",
  charset: "utf8",
  outdir,
  entryNames: "[name]",
  chunkNames: "chunks/[name]-[hash]",
  assetNames: "fonts/[name]-[hash]",
  loader: { ".woff2": "file" },
  logLevel: "warning",
});
if (existsSync("img")) cpSync("img", `${outdir}/img`, { recursive: true });
const modules = `${outdir}/python.zip`;
if (existsSync(modules)) {
  const { archive, files } = await bytecode(readFileSync(modules), SITE);
  writeFileSync(`${outdir}/engine/bytecode.zip`, archive);
  writeFileSync(`${outdir}/engine/python.image`, await image(files));
}

// What a page loads lies here squeezed, too (app/web/assets.py). The engine's large files are not: they are kept by the browser.
for (const name of readdirSync(outdir, { recursive: true })) {
  if (!/\.(js|css|svg)$/.test(name) || name.startsWith("engine/pyodide")) continue;
  const content = readFileSync(`${outdir}/${name}`);
  writeFileSync(`${outdir}/${name}.br`, brotliCompressSync(content));
  writeFileSync(`${outdir}/${name}.gz`, gzipSync(content, { level: 9 }));
}
