// AES-128 encryption, one round a cycle; the round keys are made on the way.
//
// Constant time: ten rounds, counted by `round_q`, which no key or block touches. The S-box is a
// table of constants, thus logic without a memory behind it, and as fast for every byte.
module aes
  import aes_pkg::*;
(
    input  logic         clk,
    input  logic         rst_n,
    input  logic         start,      // heeded while not busy
    input  logic [127:0] key,        // secret
    input  logic [127:0] block,      // secret
    output logic         busy,
    output logic         done,       // for one cycle
    output logic [127:0] ciphertext  // valid while done, otherwise zero
);

  localparam logic [3:0] LAST = 4'd10;

  logic [127:0] state_q, key_q;
  logic [3:0]   round_q;
  logic [7:0]   rcon_q;

  logic [127:0] round_key, shifted, mixed;

  assign round_key = next_key(key_q, rcon_q);
  assign shifted   = sub_and_shift(state_q);
  assign mixed     = mix_columns(shifted);

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      state_q <= '0;
      key_q   <= '0;
      round_q <= '0;
      rcon_q  <= '0;
      busy    <= 1'b0;
      done    <= 1'b0;
    end else begin
      done <= 1'b0;
      if (busy) begin
        state_q <= round_key ^ (round_q == LAST ? shifted : mixed);
        key_q   <= round_key;
        rcon_q  <= xtime(rcon_q);
        round_q <= round_q + 4'd1;
        if (round_q == LAST) begin
          busy <= 1'b0;
          done <= 1'b1;
        end
      end else if (start) begin
        state_q <= key ^ block;
        key_q   <= key;
        rcon_q  <= 8'h01;
        round_q <= 4'd1;
        busy    <= 1'b1;
      end
    end
  end

  assign ciphertext = done ? state_q : '0;

endmodule
