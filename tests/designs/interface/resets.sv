// Which input is the reset.
module good_asynchronous (input logic clk, nuke, d, output logic ready);
  always_ff @(posedge clk or posedge nuke) if (nuke) ready <= 0; else ready <= d;
endmodule

module good_synchronous (input logic clk, reset, d, output logic ready);
  always_ff @(posedge clk) if (reset) ready <= 0; else ready <= d;
endmodule

module good_two (input logic clk, srst, rst_n, d, output logic ready, busy);
  always_ff @(posedge clk) if (srst) busy <= 0; else busy <= d;
  always_ff @(posedge clk or negedge rst_n) if (!rst_n) ready <= 0; else ready <= d;
endmodule

module bad_clear (input logic clk, clear, d, output logic ready);
  always_ff @(posedge clk) if (clear) ready <= 0; else ready <= d;
endmodule

module bad_load (input logic clk, load, d, output logic ready);
  always_ff @(posedge clk or posedge load) if (load) ready <= d; else ready <= !ready;
endmodule
