"""What can be built: entries, names, plug-ins, resolution. Torch-free.

`resolve` turns what a user wrote into a `Network`: its `Spec` in normal form, what the zoo's files
say of it, and every option settled, which is all that `assemble` needs. `network` gives the same
for a spec. `family` says what those files hold.
"""

from archbench.zoo.catalogue.entry import Entry, Kind, Option, Options
from archbench.zoo.catalogue.kinship import families
from archbench.zoo.catalogue.loading import entries, use_plugin
from archbench.zoo.catalogue.memory import forget
from archbench.zoo.catalogue.names import find, find_detector
from archbench.zoo.catalogue.plugins import PLUGIN_FILES, plugins_in_use
from archbench.zoo.catalogue.resolution import Network, network, resolve
from archbench.zoo.sources import allow_code, verbatim

__all__ = [
    "PLUGIN_FILES",
    "Entry",
    "Kind",
    "Network",
    "Option",
    "Options",
    "allow_code",
    "entries",
    "families",
    "find",
    "find_detector",
    "forget",
    "network",
    "plugins_in_use",
    "resolve",
    "use_plugin",
    "verbatim",
]
