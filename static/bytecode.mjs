// Compiles the Python that runs in the browser with the Python that runs there: bytecode that checks its source's hash before it
// is used, so that a changed module is merely compiled again. Takes an archive of modules, returns one of `__pycache__` files,
// and every file of both as it will lie there.
import { loadPyodide } from "pyodide";

const COMPILE = `
import io, pathlib, py_compile, zipfile

def compiled(data):
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as modules, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(modules.namelist()):
            if name.endswith(".py"):
                archive.writestr(zipfile.ZipInfo(cached(name)), bytecode(name, modules.read(name)), zipfile.ZIP_DEFLATED)
    return target.getvalue()

def cached(name):
    path = pathlib.PurePosixPath(name)
    return str(path.parent / "__pycache__" / f"{path.stem}.cpython-314.pyc")

def bytecode(name, source):
    pathlib.Path("/tmp/module.py").write_bytes(source)
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    py_compile.compile("/tmp/module.py", "/tmp/module.pyc", SITE + "/" + name, True, invalidation_mode=mode)
    return pathlib.Path("/tmp/module.pyc").read_bytes()
`;

/**
 * @param {Uint8Array} archive @param {string} site where the modules will lie
 * @returns {Promise<{archive: Uint8Array, files: [string, Uint8Array][]}>}
 */
export async function bytecode(archive, site) {
  const pyodide = await loadPyodide();
  pyodide.globals.set("SITE", site);
  pyodide.runPython(COMPILE);
  const modules = new Uint8Array(archive);
  const compiled = pyodide.globals.get("compiled")(pyodide.toPy(modules)).toJs();
  for (const one of [modules, compiled]) pyodide.unpackArchive(one, "zip", { extractDir: site });
  return { archive: compiled, files: [...filesBelow(pyodide.FS, site)] };
}

function* filesBelow(FS, directory) {
  for (const name of FS.readdir(directory).sort()) {
    const path = `${directory}/${name}`;
    if (name === "." || name === "..") continue;
    if (FS.isDir(FS.stat(path).mode)) yield* filesBelow(FS, path);
    else yield [path, FS.readFile(path)];
  }
}
