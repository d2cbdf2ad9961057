// Divides 32-bit numbers without sign, restoring, one bit of the quotient a cycle.
//
// Constant time: all 32 bits are gone through whatever the operands are; their values choose data,
// never what is done next. A division by zero takes as long and gives, as in RISC-V, a quotient of
// all ones and the dividend as remainder.
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

  localparam logic [4:0] LAST = 5'd31;

  logic [31:0] divisor_q;
  logic [31:0] remainder_q;
  logic [31:0] quotient_q;  // dividend bits leave at the top, quotient bits enter at the bottom
  logic [4:0]  count_q;

  // One step: bring down a bit, subtract if that leaves no less than zero.
  logic [32:0] partial;
  logic [31:0] reduced;
  logic        fits;

  assign partial = {remainder_q, quotient_q[31]};
  assign fits    = partial >= {1'b0, divisor_q};
  assign reduced = partial[31:0] - divisor_q;  // below the divisor, so 32 bits hold it

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      divisor_q   <= '0;
      remainder_q <= '0;
      quotient_q  <= '0;
      count_q     <= '0;
      busy        <= 1'b0;
      done        <= 1'b0;
    end else begin
      done <= 1'b0;
      if (busy) begin
        remainder_q <= fits ? reduced : partial[31:0];
        quotient_q  <= {quotient_q[30:0], fits};
        count_q     <= count_q + 5'd1;
        if (count_q == LAST) begin
          busy <= 1'b0;
          done <= 1'b1;
        end
      end else if (start) begin
        divisor_q   <= divisor;
        remainder_q <= '0;
        quotient_q  <= dividend;
        count_q     <= '0;
        busy        <= 1'b1;
      end
    end
  end

  assign quotient  = quotient_q;
  assign remainder = remainder_q;

endmodule
