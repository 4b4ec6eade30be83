"""The parts of a run that use clones, and the versions of each."""

import composer_check
import javascript
from roots import ROOT_OF
from sources import JAVASCRIPT, KERNEL, LOCK_FILES, versions

OF_CLONES = ("composer", "js", *ROOT_OF)


def versions_of(part, sources):
    """The versions of a part in sources.tsv: {Oro version: {column of docs/compatibility.md: version}}."""
    oro_versions, columns = {"composer": (composer_check.VERSIONS, LOCK_FILES), "js": (javascript.VERSIONS, JAVASCRIPT)}.get(part, ([part], KERNEL))
    return {version: versions(sources, version, columns) for version in oro_versions}
