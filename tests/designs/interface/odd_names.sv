// Names that no project file can spell, and one that looks like a bit of another.
module odd_names (
    input logic clk,
    input logic [3:0] key,
    input logic [3:0] \key[3] ,
    input logic \a+b ,
    output logic \out;ready ,
    output logic busy
);
  always_ff @(posedge clk) {\out;ready , busy} <= {^key ^ \a+b , ^\key[3] };
endmodule
