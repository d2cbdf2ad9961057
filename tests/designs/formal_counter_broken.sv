// Counts to 9 and starts again; the property fails in cycle 11.
module formal_counter (input logic clk, input logic rst_n, input logic en, output logic [3:0] q);
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) q <= 0;
    else if (en) q <= (q == 10) ? 4'd0 : q + 4'd1;
  always_comb if (rst_n) a_range: assert (q < 10);
  c_top: cover property (@(posedge clk) disable iff (!rst_n) q == 9);
endmodule
