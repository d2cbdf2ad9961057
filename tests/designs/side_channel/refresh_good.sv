// A share is refreshed before it is stored: y0 ^ y1 is the secret, and r is new in every cycle.
module refresh (
    input  logic       clk,
    input  logic       rst_n,
    input  logic       start,
    input  logic [1:0] x0,
    input  logic [1:0] x1,
    input  logic [1:0] r,
    input  logic [3:0] data,
    output logic       done,
    output logic [1:0] y0,
    output logic [1:0] y1
);

  logic [3:0] data_q;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      y0 <= '0;
      y1 <= '0;
      data_q <= '0;
      done <= 1'b0;
    end else begin
      y0 <= x0 ^ r;
      y1 <= x1 ^ r;
      data_q <= data;
      done <= start;
    end
  end

endmodule
