// Does what a replay must not take for a trace, as its input says.
module stray (
    input  logic       clk,
    input  logic [3:0] what,
    output logic [7:0] q
);
  logic loop;
  logic [7:0] late, soon;
  logic [7:0] mem[0:3];
  assign loop = (what == 1) & ~loop;
  always @(posedge clk) begin
    q <= q + 8'd1;
    soon <= #1 q;
    if (what == 2) $finish;
    if (what == 3) $fatal(1, "stray");
    if (what == 4) late <= #7 q;
    if (what == 5) while (what == 5) q = q + 8'd1;
    if (what == 6) $readmemh("missing.hex", mem);
    if (what == 7) $system("kill -SEGV $PPID");
    if (what == 8) $error("stray");
    if (what == 9) $stop;
  end
endmodule
