// A pipeline of two stages with valid/ready streams on both sides, on secret data:
//
//     out_data = (in_data ^ in_key) rotated left by in_key[4:0].
//
// A stage that is full takes a word only in the cycle in which it gives its own away.
//
// Constant time, although a word may wait for long: how long follows from `in_valid` and
// `out_ready`, which are public. No data goes into a valid or a ready, and the rotation is made of
// five layers that every word passes.
module handshake (
    input  logic        clk,
    input  logic        rst_n,
    input  logic        in_valid,
    output logic        in_ready,
    input  logic [31:0] in_data,    // secret
    input  logic [31:0] in_key,     // secret
    output logic        out_valid,
    input  logic        out_ready,
    output logic [31:0] out_data
);

  logic        mixed_valid_q;  // stage 1
  logic [31:0] mixed_q;
  logic [4:0]  distance_q;
  logic        out_valid_q;    // stage 2
  logic [31:0] out_q;
  logic        out_free;

  assign out_free = !out_valid_q || out_ready;
  assign in_ready = !mixed_valid_q || out_free;

  function automatic logic [31:0] rotate_left(logic [31:0] value, logic [4:0] distance);
    logic [31:0] result;
    result = value;
    for (int unsigned layer = 0; layer < 5; layer++) begin
      if (distance[layer]) result = (result << (1 << layer)) | (result >> (32 - (1 << layer)));
    end
    return result;
  endfunction

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      mixed_valid_q <= 1'b0;
      mixed_q       <= '0;
      distance_q    <= '0;
      out_valid_q   <= 1'b0;
      out_q         <= '0;
    end else begin
      if (in_ready) begin
        mixed_valid_q <= in_valid;
        mixed_q       <= in_data ^ in_key;
        distance_q    <= in_key[4:0];
      end
      if (out_free) begin
        out_valid_q <= mixed_valid_q;
        out_q       <= rotate_left(mixed_q, distance_q);
      end
    end
  end

  assign out_valid = out_valid_q;
  assign out_data  = out_q;

endmodule
