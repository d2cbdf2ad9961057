// Compares two tags of 128 bits, a byte a cycle, the most significant byte first.
//
// Not constant time: it ends with the first byte that differs, marked LEAK below. Whoever times it
// learns how many leading bytes of a guess are right, and finds the tag byte by byte.
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
  logic         differs, differed_q;
  logic [3:0]   count_q;

  assign differs = expected_q[127:120] != received_q[127:120];

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      expected_q <= '0;
      received_q <= '0;
      differed_q <= 1'b0;
      count_q    <= '0;
      busy       <= 1'b0;
      done       <= 1'b0;
    end else begin
      done <= 1'b0;
      if (busy) begin
        expected_q <= expected_q << 8;
        received_q <= received_q << 8;
        differed_q <= differs;
        count_q    <= count_q + 4'd1;
        if (differs || count_q == LAST) begin  // LEAK
          busy <= 1'b0;
          done <= 1'b1;
        end
      end else if (start) begin
        expected_q <= expected;
        received_q <= received;
        differed_q <= 1'b0;
        count_q    <= '0;
        busy       <= 1'b1;
      end
    end
  end

  assign equal = done && !differed_q;

endmodule
