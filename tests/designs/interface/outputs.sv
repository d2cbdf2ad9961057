// Outputs that are all data: nothing to see of the timing.
module bad_only_data (input logic clk, input logic [7:0] key, output logic [7:0] dout, output logic carry);
  always_ff @(posedge clk) {carry, dout} <= key + 8'd1;
endmodule

module good_wide_state (input logic clk, input logic [63:0] key, output logic [63:0] state, output logic [1:0] fsm_state);
  always_ff @(posedge clk) begin
    state <= key;
    fsm_state <= key[1:0];
  end
endmodule
