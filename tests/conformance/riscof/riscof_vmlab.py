"""The plugin through which riscof (1.25.3, "Plugin Function Definitions") runs its tests on VM Lab."""

# riscof is installed where this is copied to.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from riscof import utils
from riscof.pluginTemplate import pluginTemplate

COMPILE = (
    "{prefix}gcc -march={march} -mabi=lp64 -static -mcmodel=medany -nostdlib -nostartfiles -fno-pie"
    " -T {plugin}/env/link.ld -I {plugin}/env -I {environment} {macros} {test} -o {elf}"
)
RUN = "{vmlab} run --bare --isa={isa} +signature={signature} +signature-granularity=4 {elf}"


class vmlab(pluginTemplate):
    """Compiles each test with the GNU cross compiler and runs it on the bare machine."""

    __model__ = "vmlab"
    __version__ = "1"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Read the section `[vmlab]` of riscof's config.ini."""
        super().__init__(*args, **kwargs)
        config = kwargs["config"]
        self.plugin = Path(config["pluginpath"]).resolve()
        self.isa_spec = str(Path(config["ispec"]).resolve())
        self.platform_spec = str(Path(config["pspec"]).resolve())
        self.jobs = int(config.get("jobs", 1))
        self.command = config.get("command", "vmlab")
        self.prefix = config.get("prefix", "riscv64-linux-gnu-")

    def initialise(self, suite: str, work_dir: str, env: str) -> None:
        """Note where the suite's headers are."""
        self.environment = env

    def build(self, isa_yaml: str, platform_yaml: str) -> None:
        """Take over the checked ISA string; S- and U-mode are no extensions to VM Lab."""
        self.isa = utils.load_yaml(isa_yaml)["hart0"]["ISA"].replace("SU", "").lower()

    def runTests(self, testList: dict[str, dict[str, Any]]) -> None:
        """Leave each test's signature where riscof looks for it."""
        with ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(self._run, testList.values()))

    def _run(self, test: dict[str, Any]) -> None:
        directory = Path(test["work_dir"])
        names = {
            "prefix": self.prefix,
            "march": test["isa"].lower(),
            "plugin": self.plugin,
            "environment": self.environment,
            "macros": " ".join(f"-D{macro}" for macro in test["macros"]),
            "test": test["test_path"],
            "elf": directory / "test.elf",
            "vmlab": self.command,
            "isa": self.isa,
            "signature": directory / f"{self.name[:-1]}.signature",
        }
        for command in (COMPILE, RUN):
            subprocess.run(shlex.split(command.format(**names)), cwd=directory, check=True)
