"""What decoding an answer raises when it is not the JSON that was expected."""

import msgspec

UNREADABLE = (msgspec.MsgspecError, RecursionError)
"""The second where arrays or objects stand inside one another too deeply."""
