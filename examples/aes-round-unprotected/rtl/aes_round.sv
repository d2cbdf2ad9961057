// The beginning of AES-128 encryption: the initial key addition, and the first round.
//
// Not protected against power analysis: one register holds the state before the round and after it,
// marked LEAK below. How many of its bits change depends on the key and on what is public.
module aes_round
  import aes_pkg::*;
(
    input  logic         clk,
    input  logic         rst_n,
    input  logic         start,  // heeded while not busy
    input  logic [127:0] key,    // secret
    input  logic [127:0] block,
    output logic         busy,
    output logic         done,   // for one cycle, 2 cycles after start
    output logic [127:0] state   // valid while done
);

  logic [127:0] key_q;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      state <= '0;
      key_q <= '0;
      busy  <= 1'b0;
      done  <= 1'b0;
    end else begin
      done <= busy;
      busy <= start && !busy;
      if (busy) begin
        state <= mix_columns(sub_and_shift(state)) ^ next_key(key_q, 8'h01);  // LEAK
      end else if (start) begin
        state <= block ^ key;  // LEAK
        key_q <= key;
      end
    end
  end

endmodule
