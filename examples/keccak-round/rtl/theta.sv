// Theta, FIPS 202 algorithm 1: to each bit the parities of two neighbouring columns are added.
module theta
  import keccak_pkg::*;
(
    input  keccak_t a,
    output keccak_t r
);

  logic [4:0][LANE-1:0] parity;

  for (genvar x = 0; x < 5; x++) begin : g_parity
    assign parity[x] = a[0][x] ^ a[1][x] ^ a[2][x] ^ a[3][x] ^ a[4][x];
  end

  for (genvar x = 0; x < 5; x++) begin : g_column
    lane_t left, right, effect;

    assign left   = parity[(x+4)%5];
    assign right  = parity[(x+1)%5];
    assign effect = left ^ {right[LANE-2:0], right[LANE-1]};

    for (genvar y = 0; y < 5; y++) begin : g_row
      assign r[y][x] = a[y][x] ^ effect;
    end
  end

endmodule
