"""What a student's numbers are drawn from: a secret of the course, the student and the lesson.

HMAC-SHA256 (RFC 2104): nobody without the secret can tell which numbers another student has, and everybody
with it can say which a student must have had. A seed has 48 bits, so that JavaScript keeps it exactly.
"""

import hmac

SEED_BYTES = 6
LARGEST_SEED = (1 << 8 * SEED_BYTES) - 1


def student_seed(secret: bytes, student: str, lesson: str, turn: int = 0) -> int:
    """Return the seed of a student's lab; `turn` counts up when the draw is one that a neighbour has."""
    message = "\0".join((student, lesson, str(turn))).encode()
    return int.from_bytes(hmac.digest(secret, message, "sha256")[:SEED_BYTES], "big")
