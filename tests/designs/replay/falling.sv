// Clocked by the falling edge, but for one register and for one whose clock is inverted on its way.
module falling (
    input  logic       clk,
    output logic [7:0] fall,
    output logic [7:0] rise,
    output logic [7:0] turned
);
  logic turned_clk;
  assign turned_clk = ~clk;
  always_ff @(negedge clk) fall <= fall + 8'd1;
  always_ff @(posedge clk) rise <= rise + 8'd1;
  always_ff @(posedge turned_clk) turned <= turned + 8'd1;
endmodule
