// Iota, FIPS 202 algorithm 6: the round's constant is added to lane (0, 0).
module iota
  import keccak_pkg::*;
(
    input  keccak_t a,
    input  round_t  index,
    output keccak_t r
);

  always_comb begin
    r       = a;
    r[0][0] = a[0][0] ^ ROUND_CONSTANT[index];
  end

endmodule
