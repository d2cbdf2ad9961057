// A bit of everything that a replay sets and reads. Asynchronous and synchronous resets.
package replay_pkg;
  typedef struct packed {
    logic [3:0] tag;
    logic [7:0] data;
  } pair_t;
endpackage

module replay_stage #(
    parameter int STEP = 1
) (
    input  logic       clk,
    input  logic       rst_n,
    input  logic [7:0] d,
    output logic [7:0] q
);
  logic [7:0] r;
  logic [7:0] mask = 8'h40;  // never written: only a poke changes it
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) r <= '0;
    else r <= d + STEP[7:0];
  assign q = r ^ mask;
endmodule

module replay #(
    parameter int WIDTH = 100
) (
    input  logic                    clk,
    input  logic                    rst_n,
    input  logic                    clear,
    input  logic [WIDTH-1:0]        x,
    input  logic [7:0]              lanes   [2:0],
    input  replay_pkg::pair_t       pair_in,
    output logic [WIDTH-1:0]        y,
    output logic [7:0]              count,
    output logic [7:0]              async_count,
    output logic [7:0]              word,
    output logic [1:0][7:0]         stages,
    output logic [7:0]              lane
);
  logic [WIDTH-1:0] wide;
  replay_pkg::pair_t pair_q;
  logic [7:0] mem[4:7];
  logic [3:0] grid[0:1][2:0];
  logic \odd.name[3] ;
  struct {
    logic [7:0] a;
    logic b;
  } loose;

  always_ff @(posedge clk)
    if (clear) count <= '0;
    else count <= count + 8'd1;

  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) async_count <= '0;
    else async_count <= async_count + 8'd1;

  always_ff @(posedge clk) begin
    wide <= wide ^ x;
    pair_q <= pair_in;
    mem[{1'b1, x[1:0]}] <= x[7:0];
    grid[0][2] <= grid[1][0];
    \odd.name[3] <= x[0];
    loose.a <= loose.a + 8'd1;
  end

  for (genvar i = 0; i < 2; i++) begin : gen
    logic [7:0] r;
    always_ff @(posedge clk) r <= r + 8'(i);
    replay_stage #(.STEP(i)) u_stage (.clk, .rst_n, .d(r), .q(stages[i]));
  end

  assign y = wide;
  assign lane = lanes[2] ^ {4'b0, grid[0][2]} ^ {7'b0, \odd.name[3] };
  always_comb word = mem[4] + pair_q.data;
endmodule
