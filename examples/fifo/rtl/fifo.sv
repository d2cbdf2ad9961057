// Synchronous first-in first-out queue with valid/ready streams on both sides.
//
// An entry can be read in the cycle after it was written. A full FIFO takes nothing, also while it
// is read; neither side waits for the other's valid or ready within a cycle.
module fifo
  import fifo_pkg::*;
#(
    parameter int unsigned WIDTH = 8,
    parameter int unsigned DEPTH = 8,  // a power of two, at least 2
    localparam int unsigned POINTER_WIDTH = $clog2(DEPTH)
) (
    input  logic                   clk,
    input  logic                   rst_n,
    input  logic                   write_valid,
    output logic                   write_ready,
    input  logic [WIDTH-1:0]       write_data,
    output logic                   read_valid,
    input  logic                   read_ready,
    output logic [WIDTH-1:0]       read_data,
    output logic [POINTER_WIDTH:0] count,
    output status_t                status
);

  if (DEPTH < 2 || 2 ** POINTER_WIDTH != DEPTH) begin : g_check
    $error("DEPTH is %0d, must be a power of two of at least 2", DEPTH);
  end

  typedef logic [POINTER_WIDTH-1:0] pointer_t;
  typedef logic [POINTER_WIDTH:0] count_t;

  level_t                      level_q, level_d;
  count_t                      count_q;
  pointer_t                    write_pointer_q, read_pointer_q;
  logic [WIDTH-1:0]            entries_q [DEPTH];
  logic                        push, pop;

  assign push = write_valid && write_ready;
  assign pop  = read_valid && read_ready;

  always_comb begin
    level_d = level_q;
    unique case (level_q)
      EMPTY: if (push) level_d = PARTIAL;
      PARTIAL: begin
        if (push && !pop && count_q == count_t'(DEPTH - 1)) level_d = FULL;
        if (pop && !push && count_q == count_t'(1)) level_d = EMPTY;
      end
      FULL: if (pop) level_d = PARTIAL;
    endcase
  end

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) level_q <= EMPTY;
    else level_q <= level_d;
  end

  // Pointers wrap by themselves, since DEPTH is a power of two.
  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      count_q         <= '0;
      write_pointer_q <= '0;
      read_pointer_q  <= '0;
    end else begin
      count_q         <= count_q + count_t'(push) - count_t'(pop);
      write_pointer_q <= write_pointer_q + pointer_t'(push);
      read_pointer_q  <= read_pointer_q + pointer_t'(pop);
    end
  end

  always_ff @(posedge clk) begin
    if (push) entries_q[write_pointer_q] <= write_data;
  end

  assign write_ready = level_q != FULL;
  assign read_valid  = level_q != EMPTY;
  assign read_data   = entries_q[read_pointer_q];
  assign count       = count_q;
  assign status = '{
      level: level_q,
      almost_empty: count_q <= count_t'(1),
      almost_full: count_q >= count_t'(DEPTH - 1)
  };

endmodule
