"""The first round of AES-128 as FIPS 197 defines it, slowly."""


def times(a: int, b: int) -> int:
    """The product of two bytes in GF(2^8), section 4.2."""
    product = 0
    for place in range(8):
        product ^= a * (b >> place & 1) << place
    for place in range(14, 7, -1):
        product ^= (0x11B << place - 8) * (product >> place & 1)
    return product


def sub(value: int) -> int:
    """The S-box from its definition, section 5.1.1: an inverse, then an affine map."""
    inverse = next((x for x in range(256) if times(value, x) == 1), 0)
    rotated = 0  # five rotations in 16 bits, folded below
    for shift in range(5):
        rotated ^= inverse << shift
    return rotated & 0xFF ^ rotated >> 8 ^ 0x63


SBOX = [sub(value) for value in range(256)]


def first_round(key: int, block: int) -> int:
    """The state after the initial key addition and one round, section 5.1."""
    words = [list(key.to_bytes(16)[i : i + 4]) for i in range(0, 16, 4)]
    word = [SBOX[byte] for byte in words[3][1:] + words[3][:1]]
    word[0] ^= 1  # the first round constant
    round_key = []
    for old in words:  # section 5.2
        word = [a ^ b for a, b in zip(word, old, strict=True)]
        round_key += word
    state = [a ^ b for a, b in zip(block.to_bytes(16), key.to_bytes(16), strict=True)]
    state = [SBOX[state[(5 * i) % 16]] for i in range(16)]
    state = [
        times(state[i], 2) ^ times(state[i // 4 * 4 + (i + 1) % 4], 3)
        ^ state[i // 4 * 4 + (i + 2) % 4] ^ state[i // 4 * 4 + (i + 3) % 4]
        for i in range(16)
    ]  # fmt: skip
    return int.from_bytes(bytes(a ^ b for a, b in zip(state, round_key, strict=True)))
