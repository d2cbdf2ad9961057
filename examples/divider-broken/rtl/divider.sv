// Divides 32-bit numbers without sign, restoring, one bit of the quotient a cycle.
//
// Not constant time, in the places marked LEAK below: a division by zero returns at once, and the
// leading zeros of the dividend are skipped, which tells its size. The results are those of RISC-V:
// a division by zero gives a quotient of all ones and the dividend as remainder.
module divider (
    input  logic        clk,
    input  logic        rst_n,
    input  logic        start,      // heeded while not busy
    input  logic [31:0] dividend,   // secret
    input  logic [31:0] divisor,    // secret
    output logic        busy,
    output logic        done,       // for one cycle
    output logic [31:0] quotient,   // valid from done to the next start
    output logic [31:0] remainder
);

  typedef enum logic [1:0] {
    IDLE,
    NORMALIZE,  // shifts the leading zeros out
    DIVIDE
  } state_t;

  state_t      state_q;
  logic [31:0] divisor_q;
  logic [31:0] remainder_q;
  logic [31:0] quotient_q;   // dividend bits leave at the top, quotient bits enter at the bottom
  logic [5:0]  remaining_q;  // steps to go

  // One step: bring down a bit, subtract if that leaves no less than zero.
  logic [32:0] partial;
  logic [31:0] reduced;
  logic        fits;

  assign partial = {remainder_q, quotient_q[31]};
  assign fits    = partial >= {1'b0, divisor_q};
  assign reduced = partial[31:0] - divisor_q;  // below the divisor, so 32 bits hold it

  logic [5:0] significant;  // bits of the dividend without its leading zeros

  always_comb begin
    significant = '0;
    for (int unsigned place = 0; place < 32; place++) begin
      if (quotient_q[place]) significant = 6'(place + 1);
    end
  end

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      state_q     <= IDLE;
      divisor_q   <= '0;
      remainder_q <= '0;
      quotient_q  <= '0;
      remaining_q <= '0;
      done        <= 1'b0;
    end else begin
      done <= 1'b0;
      unique case (state_q)
        IDLE:
          if (start) begin
            divisor_q   <= divisor;
            remainder_q <= '0;
            quotient_q  <= dividend;
            state_q     <= NORMALIZE;
          end
        NORMALIZE:
          if (divisor_q == '0) begin  // LEAK: the divisor is zero
            quotient_q  <= '1;
            remainder_q <= quotient_q;
            state_q     <= IDLE;
            done        <= 1'b1;
          end else if (significant == '0) begin  // LEAK: the dividend is zero
            state_q <= IDLE;
            done    <= 1'b1;
          end else begin
            quotient_q  <= quotient_q << (6'd32 - significant);
            remaining_q <= significant;  // LEAK: as many steps as the dividend has bits
            state_q     <= DIVIDE;
          end
        DIVIDE: begin
          remainder_q <= fits ? reduced : partial[31:0];
          quotient_q  <= {quotient_q[30:0], fits};
          remaining_q <= remaining_q - 6'd1;
          if (remaining_q == 6'd1) begin
            state_q <= IDLE;
            done    <= 1'b1;
          end
        end
      endcase
    end
  end

  assign busy      = state_q != IDLE;
  assign quotient  = quotient_q;
  assign remainder = remainder_q;

endmodule
