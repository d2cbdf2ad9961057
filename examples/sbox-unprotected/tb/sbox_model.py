"""The S-box of AES from its definition, FIPS 197, section 5.1.1."""


def times(a: int, b: int) -> int:
    """The product of two bytes in GF(2^8), section 4.2."""
    product = 0
    for place in range(8):
        product ^= a * (b >> place & 1) << place
    for place in range(14, 7, -1):
        product ^= (0x11B << place - 8) * (product >> place & 1)
    return product


def sub(value: int) -> int:
    """An inverse, then an affine map."""
    inverse = next((x for x in range(256) if times(value, x) == 1), 0)
    rotated = 0  # five rotations in 16 bits, folded below
    for shift in range(5):
        rotated ^= inverse << shift
    return rotated & 0xFF ^ rotated >> 8 ^ 0x63


SBOX = [sub(value) for value in range(256)]
