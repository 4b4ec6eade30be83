"""Converts an installed Autobahn test suite from Python 2 to Python 3: port_suite.py TARGET

Reads the installed package `autobahntestsuite` and writes the converted one to TARGET. Needs lib2to3 (Python up to 3.12).

In the converted suite a `str` still contains bytes, one per character (Latin-1), as in Python 2. It is converted to `bytes` for
calls of the library `autobahn`, and back to `str`. Reports are written as JSON only.
"""

import importlib.util
import re
import shutil
import sys
from lib2to3 import refactor
from pathlib import Path

FIXERS = ("print", "except", "has_key", "xrange", "unicode", "import", "dict", "raise", "numliterals", "ne", "repr", "exec",
          "long", "basestring", "reduce", "tuple_params")

CONVERSIONS = '''
def _bytes(value):
   return value.encode("latin-1") if isinstance(value, str) else value

def _text(value):
   return bytes(value).decode("latin-1") if isinstance(value, (bytes, bytearray, memoryview)) else value

def _hex(value):
   return _bytes(value).hex() if isinstance(value, str) else bytes(value).hex()
'''

# Methods of the library that take bytes: name, parameters, arguments.
SENDERS = (
   ("sendFrame", "opcode, payload = b'', **options", "opcode, _bytes(payload), **options"),
   ("sendMessage", "payload, *more, **options", "_bytes(payload), *more, **options"),
   ("sendMessageFrameData", "payload, sync = False", "_bytes(payload), sync"),
   ("sendMessageFrame", "payload, sync = False", "_bytes(payload), sync"),
   ("sendPing", "payload = None", "_bytes(payload)"),
   ("sendPong", "payload = None", "_bytes(payload)"),
   ("sendCloseFrame", "code = None, reasonUtf8 = None, isReply = False", "code, _bytes(reasonUtf8), isReply"),
)

# Compression options that the library has renamed.
RENAMED = ("requestNoContextTakeover", "requestMaxWindowBits", "acceptNoContextTakeover", "acceptMaxWindowBits",
           "noContextTakeover", "windowBits", "memLevel")

VALIDATOR = '''from autobahn.websocket.utf8validator import Utf8Validator as LibraryValidator
class Utf8Validator(LibraryValidator):
   def validate(self, text):
      return LibraryValidator.validate(self, text.encode("latin-1") if isinstance(text, str) else text)
'''


def replace(source, old, new, name):
    """Replaces text that must be present; if it is not, the suite has an unsupported version."""
    if old not in source:
        sys.exit(f"port_suite.py: {name} has no {old!r}: this version of the suite is not supported.")
    return source.replace(old, new)


def convert_fuzzing(source, name):
    senders = "".join(
        f"   def {method}(self, {parameters}):\n      return WebSocketProtocol.{method}(self, {arguments})\n\n"
        for method, parameters, arguments in SENDERS)
    for old, new in (
        ("class FuzzingProtocol:\n", f"{CONVERSIONS}\nclass FuzzingProtocol:\n   debug = False\n\n{senders}"),
        ("binascii.b2a_hex(", "_hex("),
        ("return dd.decode('utf8'", "return _bytes(dd).decode('utf8'"),
        ("dd = data[:maxlen] + ellipses", "dd = _text(data)[:maxlen] + ellipses"),
        ("''.join(payload)", "b''.join(bytes(part) for part in payload)"),
        ("json.dumps(case, ", "json.dumps(case, default = _text, "),
        ("self.createReports()", "self.createReports(produceHtml = False)"),
        ("self.factory.createReports()", "self.factory.createReports(produceHtml = False)"),
        (", debug = debug, debugCodePaths = debug", ""),
        ("self.failConnection()", "self._fail_connection()"),
        ("   def onMessage(self, msg, binary):\n", "   def onMessage(self, msg, binary):\n      msg = _text(msg)\n"),
        ("   def onPong(self, payload):\n", "   def onPong(self, payload):\n      payload = _text(payload)\n"),
    ):
        source = replace(source, old, new, name)
    return source


def convert_case(source):
    source = source.replace("from autobahn.websocket.utf8validator import Utf8Validator", VALIDATOR)
    source = re.sub(r"\(object, Case, ?\)", "(Case,)", source)
    source = source.replace("len(self.payload) / self.p", "len(self.payload) // self.p")
    source = source.replace(".encode(\"utf-8\")", ".encode('utf-8').decode('latin-1')")
    if "binascii.b2a_hex(" in source:
        source = CONVERSIONS + source.replace("binascii.b2a_hex(", "_hex(")
    return source


def convert(path, fixers):
    source = path.read_text("latin-1").replace("\r\n", "\n").rstrip("\n") + "\n"
    source = re.sub(r"^#.*coding[:=].*$", "#", source, count=1, flags=re.M)
    source = str(fixers.refactor_string(source, str(path)))
    source = source.replace("from zope.interface import implements\n", "def implements(*interfaces): pass\n")
    source = source.replace("from . import wstest\n", "\n")
    for name in RENAMED:
        source = re.sub(rf"\b{name}\b", re.sub("([A-Z])", lambda letter: "_" + letter[1].lower(), name), source)
    if path.name == "fuzzing.py":
        source = convert_fuzzing(source, path.name)
    elif path.name.startswith("case"):
        source = convert_case(source)
    compile(source, str(path), "exec")
    path.write_text(source, "utf-8")


def main():
    target = Path(sys.argv[1]) / "autobahntestsuite"
    installed = Path(importlib.util.find_spec("autobahntestsuite").submodule_search_locations[0])
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(installed, target, ignore=shutil.ignore_patterns("__pycache__"))
    fixers = refactor.RefactoringTool([f"lib2to3.fixes.fix_{name}" for name in FIXERS])
    for path in sorted(target.rglob("*.py")):
        convert(path, fixers)


if __name__ == "__main__":
    main()
