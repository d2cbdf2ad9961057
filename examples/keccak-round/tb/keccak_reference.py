"""Keccak-f[1600] in plain Python, from the algorithms of FIPS 202; states are 1600-bit integers.

Bit 64 * (5 * y + x) + z of a state is A[x, y, z]; byte i of a message is bits 8 * i to 8 * i + 7.
"""

MASK = (1 << 64) - 1
RATE_BYTES = 136  # of SHA3-256


def rotate(lane: int, by: int) -> int:
    """The 64-bit `lane` rotated to the left."""
    return (lane << by % 64 | lane >> (-by) % 64) & MASK


def rotations() -> dict[tuple[int, int], int]:
    """The offsets of rho, by algorithm 2."""
    offsets, (x, y) = {(0, 0): 0}, (1, 0)
    for t in range(24):
        offsets[x, y] = (t + 1) * (t + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % 5
    return offsets


def round_constants() -> list[int]:
    """The constants of iota, by the shift register of algorithm 5."""
    constants, register = [], 1
    for _ in range(24):
        constant = 0
        for j in range(7):
            constant |= (register & 1) << (1 << j) - 1
            register <<= 1
            register ^= 0x171 * (register >> 8)
        constants.append(constant)
    return constants


def permute(state: int) -> int:
    """Keccak-f[1600] of `state`."""
    a = {(x, y): state >> 64 * (5 * y + x) & MASK for x in range(5) for y in range(5)}
    offsets = rotations()
    for constant in round_constants():
        parity = [a[x, 0] ^ a[x, 1] ^ a[x, 2] ^ a[x, 3] ^ a[x, 4] for x in range(5)]
        effect = [parity[(x + 4) % 5] ^ rotate(parity[(x + 1) % 5], 1) for x in range(5)]
        a = {(x, y): lane ^ effect[x] for (x, y), lane in a.items()}
        a = {(y, (2 * x + 3 * y) % 5): rotate(lane, offsets[x, y]) for (x, y), lane in a.items()}
        a = {
            (x, y): lane ^ (~a[(x + 1) % 5, y] & a[(x + 2) % 5, y]) for (x, y), lane in a.items()
        }
        a[0, 0] ^= constant
    return sum(lane << 64 * (5 * y + x) for (x, y), lane in a.items())


def sha3_256_block(message: bytes) -> int:
    """The padded `message`, which must fit into one block, as the state that is permuted."""
    if len(message) >= RATE_BYTES:
        raise ValueError(f"{len(message)} bytes do not fit into one block of SHA3-256")
    block = bytearray(message.ljust(RATE_BYTES, b"\0"))
    block[len(message)] ^= 0x06
    block[-1] ^= 0x80
    return int.from_bytes(block, "little")
