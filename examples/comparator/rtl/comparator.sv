// Compares two tags of 128 bits, a byte a cycle, the most significant byte first.
//
// Constant time: what differs is gathered in `difference_q` and looked at by nothing before the
// end. `busy` and `done` come from `count_q` alone, which counts all 16 bytes of every comparison.
module comparator (
    input  logic         clk,
    input  logic         rst_n,
    input  logic         start,     // heeded while not busy
    input  logic [127:0] expected,  // secret
    input  logic [127:0] received,
    output logic         busy,
    output logic         done,      // for one cycle
    output logic         equal      // valid while done
);

  localparam logic [3:0] LAST = 4'd15;

  logic [127:0] expected_q, received_q;
  logic [7:0]   difference_q;
  logic [3:0]   count_q;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      expected_q   <= '0;
      received_q   <= '0;
      difference_q <= '0;
      count_q      <= '0;
      busy         <= 1'b0;
      done         <= 1'b0;
    end else begin
      done <= 1'b0;
      if (busy) begin
        expected_q   <= expected_q << 8;
        received_q   <= received_q << 8;
        difference_q <= difference_q | (expected_q[127:120] ^ received_q[127:120]);
        count_q      <= count_q + 4'd1;
        if (count_q == LAST) begin
          busy <= 1'b0;
          done <= 1'b1;
        end
      end else if (start) begin
        expected_q   <= expected;
        received_q   <= received;
        difference_q <= '0;
        count_q      <= '0;
        busy         <= 1'b1;
      end
    end
  end

  assign equal = done && difference_q == '0;

endmodule
