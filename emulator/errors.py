"""The root of every error that is the user's to fix."""


class VmLabError(Exception):
    """A user error; its message says what, where, what was expected and the remedy.

    The command line prints the message and exits with 2; the page shows it in place. Guest faults are not
    errors (they are architectural state), and our own mistakes are assertions.
    """
