// Types and constants of Keccak-f[1600], FIPS 202.
package keccak_pkg;

  localparam int unsigned LANE = 64;
  localparam int unsigned ROUNDS = 24;

  typedef logic [LANE-1:0] lane_t;

  // state[y][x] is the lane A[x, y]. Flattened, A[x, y, z] is bit 64 * (5 * y + x) + z, its number
  // in the string S of FIPS 202, section 3.1.2.
  typedef logic [4:0][4:0][LANE-1:0] keccak_t;

  typedef logic [4:0] round_t;

  typedef enum logic [1:0] {
    IDLE,   // waits for a state
    ROUND,  // one round a cycle
    DONE    // waits until the result is taken
  } fsm_t;

  // Offsets of rho, FIPS 202 table 2 modulo 64, as ROTATION[y][x]; y = 4 and x = 4 come first.
  localparam logic [4:0][4:0][5:0] ROTATION = '{
      '{6'd14, 6'd56, 6'd61, 6'd2, 6'd18},
      '{6'd8, 6'd21, 6'd15, 6'd45, 6'd41},
      '{6'd39, 6'd25, 6'd43, 6'd10, 6'd3},
      '{6'd20, 6'd55, 6'd6, 6'd44, 6'd36},
      '{6'd27, 6'd28, 6'd62, 6'd1, 6'd0}
  };

  // Constants of iota, FIPS 202 algorithms 5 and 6; that of the last round comes first.
  localparam lane_t [ROUNDS-1:0] ROUND_CONSTANT = '{
      64'h8000_0000_8000_8008, 64'h0000_0000_8000_0001, 64'h8000_0000_0000_8080,
      64'h8000_0000_8000_8081, 64'h8000_0000_8000_000A, 64'h0000_0000_0000_800A,
      64'h8000_0000_0000_0080, 64'h8000_0000_0000_8002, 64'h8000_0000_0000_8003,
      64'h8000_0000_0000_8089, 64'h8000_0000_0000_008B, 64'h0000_0000_8000_808B,
      64'h0000_0000_8000_000A, 64'h0000_0000_8000_8009, 64'h0000_0000_0000_0088,
      64'h0000_0000_0000_008A, 64'h8000_0000_0000_8009, 64'h8000_0000_8000_8081,
      64'h0000_0000_8000_0001, 64'h0000_0000_0000_808B, 64'h8000_0000_8000_8000,
      64'h8000_0000_0000_808A, 64'h0000_0000_0000_8082, 64'h0000_0000_0000_0001
  };

endpackage
