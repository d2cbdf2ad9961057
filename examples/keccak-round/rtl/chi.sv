// Chi, FIPS 202 algorithm 4: the only step that is not linear.
module chi
  import keccak_pkg::*;
(
    input  keccak_t a,
    output keccak_t r
);

  for (genvar y = 0; y < 5; y++) begin : g_row
    for (genvar x = 0; x < 5; x++) begin : g_column
      assign r[y][x] = a[y][x] ^ (~a[y][(x+1)%5] & a[y][(x+2)%5]);
    end
  end

endmodule
