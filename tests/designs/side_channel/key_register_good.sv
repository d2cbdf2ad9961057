// A key in two registers, each a share; nothing ever has both.
module key_register (
    input  logic       clk,
    input  logic       rst_n,
    input  logic       start,
    input  logic       load,
    input  logic [3:0] share0,
    input  logic [3:0] share1,
    output logic       done,
    output logic [3:0] y0,
    output logic [3:0] y1
);

  logic [3:0] key0_q, key1_q;

  always_ff @(posedge clk) begin
    if (load) begin
      key0_q <= share0;
      key1_q <= share1;
    end
  end

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      y0 <= '0;
      y1 <= '0;
      done <= 1'b0;
    end else if (start) begin
      y0 <= key0_q;
      y1 <= key1_q;
      done <= 1'b1;
    end else begin
      done <= 1'b0;
    end
  end

endmodule
