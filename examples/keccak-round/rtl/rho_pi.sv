// Rho and pi, FIPS 202 algorithms 2 and 3: lanes are rotated and moved. Wires, and no gate.
module rho_pi
  import keccak_pkg::*;
(
    input  keccak_t a,
    output keccak_t r
);

  for (genvar x = 0; x < 5; x++) begin : g_column
    for (genvar y = 0; y < 5; y++) begin : g_row
      // A'[x, y] = A[(x + 3y) mod 5, x], where A was rotated by its own offset.
      localparam int unsigned SOURCE = (x + 3 * y) % 5;
      localparam int unsigned TURN = 32'(ROTATION[x][SOURCE]);

      if (TURN == 0) begin : g_still
        assign r[y][x] = a[x][SOURCE];
      end else begin : g_turn
        assign r[y][x] = {a[x][SOURCE][LANE-1-TURN:0], a[x][SOURCE][LANE-1:LANE-TURN]};
      end
    end
  end

endmodule
