// Constants and types of the ML-KEM ring, FIPS 203: coefficients are integers modulo q = 3329.
package ntt_pkg;

  localparam int unsigned WIDTH = 12;
  typedef logic [WIDTH-1:0] coeff_t;
  typedef logic [2*WIDTH-1:0] wide_t;

  localparam coeff_t Q = 12'd3329;

  // Barrett reduction (P. Barrett, CRYPTO '86): the quotient p / q is estimated without a division,
  //
  //     estimate = floor(p * MU / 2^SHIFT),   MU = floor(2^SHIFT / q) = floor(2^24 / 3329) = 5039.
  //
  // Error bound. 2^24 = 5039 * q + 2385, so p / q exceeds p * MU / 2^24 by p * 2385 / (q * 2^24).
  // For every p < 2^24, and so for every product of two coefficients, the excess is below
  // 2385 / 3329 < 0.717; rounding down loses less than one more. The estimate is therefore
  // floor(p / q) or one less, the remainder p - estimate * q is below 2q, and one conditional
  // subtraction is enough. `a_estimate` in formal/butterfly_properties.sv proves just this.
  localparam int unsigned SHIFT = 24;
  localparam int unsigned MU_WIDTH = 13;
  localparam logic [MU_WIDTH-1:0] MU = 13'd5038;

  // Registers between an operand and its result.
  localparam int unsigned LATENCY = 5;

  // One layer of an ML-KEM transform has 128 butterflies.
  localparam int unsigned LENGTH_WIDTH = 8;
  typedef logic [LENGTH_WIDTH-1:0] length_t;

  typedef enum logic [1:0] {
    IDLE,   // waits for a job
    RUN,    // takes operands
    DRAIN,  // has all operands, waits for the last result to be taken
    DONE    // reports the end, for one cycle
  } state_t;

endpackage
