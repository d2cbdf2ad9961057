// How designs are clocked: `good_` and `bad_` ones.
module good_rising (input logic clk, d, output logic ready);
  always_ff @(posedge clk) ready <= d;
endmodule

module good_falling (input logic clk, d, output logic ready);
  always_ff @(negedge clk) ready <= d;
endmodule

module good_combinational (input logic a, b, output logic ready);
  assign ready = a & b;
endmodule

module good_forwarded (input logic clk, d, output logic ready, output logic clk_out);
  always_ff @(posedge clk) ready <= d;
  assign clk_out = clk;
endmodule

module good_memory (input logic clk, we, input logic [3:0] a, d, output logic [3:0] addr);
  logic [3:0] m [16];
  always_ff @(posedge clk) begin
    if (we) m[a] <= d;
    addr <= m[a];
  end
endmodule

module bad_two_clocks (input logic clk_a, clk_b, d, output logic ready);
  logic q;
  always_ff @(posedge clk_a) q <= d;
  always_ff @(posedge clk_b) ready <= q;
endmodule

module bad_both_edges (input logic clk, d, output logic ready);
  logic q;
  always_ff @(negedge clk) q <= d;
  always_ff @(posedge clk) ready <= q;
endmodule

module bad_memory_edge (input logic clk, we, input logic [3:0] a, d, output logic [3:0] addr);
  logic [3:0] m [16];
  always_ff @(negedge clk) if (we) m[a] <= d;
  always_ff @(posedge clk) addr <= m[a];
endmodule

module bad_gated (input logic clk, en, d, output logic ready);
  wire gated = clk & en;
  always_ff @(posedge gated) ready <= d;
endmodule

module bad_divided (input logic clk, d, output logic ready);
  logic half = 0;
  always_ff @(posedge clk) half <= !half;
  always_ff @(posedge half) ready <= d;
endmodule

module bad_vector (input logic [1:0] clks, input logic d, output logic ready);
  always_ff @(posedge clks[1]) ready <= d;
endmodule

module bad_data (input logic clk, d, output logic ready, strange);
  always_ff @(posedge clk) ready <= d;
  assign strange = ready ^ clk;
endmodule

module bad_latch (input logic clk, en, d, output logic ready);
  logic q;
  always_latch if (en) q = d;
  always_ff @(posedge clk) ready <= q;
endmodule

module bad_tristate (input logic clk, en, d, output wire ready);
  logic q;
  always_ff @(posedge clk) q <= d;
  assign ready = en ? q : 1'bz;
endmodule

module bad_inout (input logic clk, d, inout wire pad, output logic ready);
  always_ff @(posedge clk) ready <= d ^ pad;
endmodule
