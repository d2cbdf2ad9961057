// The FIFO loses, repeats, changes and reorders nothing, and never over- or underflows.
//
// Data is followed in two ways. `tracked` is one entry, whichever the solver picks: what was
// written there is what is read from there. `mirror` is a second queue of another build, a shift
// register: the FIFO shows the same entries in the same order.
module fifo_properties
  import fifo_pkg::*;
#(
    parameter int unsigned WIDTH = 8,
    parameter int unsigned DEPTH = 8,
    localparam int unsigned POINTER_WIDTH = $clog2(DEPTH)
) (
    input logic                        clk,
    input logic                        rst_n,
    input logic                        write_valid,
    input logic                        write_ready,
    input logic [WIDTH-1:0]            write_data,
    input logic                        read_valid,
    input logic                        read_ready,
    input logic [WIDTH-1:0]            read_data,
    input logic [POINTER_WIDTH:0]      count,
    input status_t                     status,
    input level_t                      level_q,
    input logic [POINTER_WIDTH-1:0]    write_pointer_q,
    input logic [POINTER_WIDTH-1:0]    read_pointer_q,
    input logic [WIDTH-1:0]            entries_q [DEPTH],
    input logic                        push,
    input logic                        pop
);

  typedef logic [POINTER_WIDTH-1:0] pointer_t;
  typedef logic [POINTER_WIDTH:0] count_t;

  // Any entry: a register without a reset starts with any value, and this one keeps it.
  pointer_t tracked;
  always_ff @(posedge clk) tracked <= tracked;

  pointer_t         tracked_age;   // entries to be read before the tracked one
  logic             tracked_held;
  logic [WIDTH-1:0] tracked_data;

  assign tracked_age = tracked - read_pointer_q;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) tracked_held <= 1'b0;
    else if (push && write_pointer_q == tracked) tracked_held <= 1'b1;
    else if (pop && read_pointer_q == tracked) tracked_held <= 1'b0;
  end

  always_ff @(posedge clk) begin
    if (push && write_pointer_q == tracked) tracked_data <= write_data;
  end

  // The oldest entry is mirror[0]; places from `count` on hold anything.
  logic [DEPTH-1:0][WIDTH-1:0] mirror, shifted;

  assign shifted = pop ? mirror >> WIDTH : mirror;

  always_ff @(posedge clk) begin
    for (int unsigned place = 0; place < DEPTH; place++) begin
      if (push && count - count_t'(pop) == count_t'(place)) mirror[place] <= write_data;
      else mirror[place] <= shifted[place];
    end
  end

  logic in_order;

  always_comb begin
    in_order = 1'b1;
    for (int unsigned place = 0; place < DEPTH; place++) begin
      if (count_t'(place) < count && mirror[place] != entries_q[read_pointer_q + pointer_t'(place)])
        in_order = 1'b0;
    end
  end

  // The cycle before.
  logic             past_valid, past_push, past_pop, past_waiting;
  count_t           past_count;
  logic [WIDTH-1:0] past_data;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) past_valid <= 1'b0;
    else past_valid <= 1'b1;
  end

  always_ff @(posedge clk) begin
    past_push    <= push;
    past_pop     <= pop;
    past_waiting <= read_valid && !read_ready;
    past_count   <= count;
    past_data    <= read_data;
  end

  always_comb begin
    if (rst_n) begin
      // Level, count and pointers tell one story.
      a_count_bounded: assert (count <= count_t'(DEPTH));
      a_level_legal:   assert (level_q inside {EMPTY, PARTIAL, FULL});
      a_level_empty:   assert ((level_q == EMPTY) == (count == '0));
      a_level_full:    assert ((level_q == FULL) == (count == count_t'(DEPTH)));
      a_pointers:      assert (write_pointer_q - read_pointer_q == pointer_t'(count));
      a_exclusive:     assert (write_ready || read_valid);

      // Neither over- nor underflow.
      if (count == count_t'(DEPTH)) a_no_overflow:  assert (!push);
      if (count == '0)              a_no_underflow: assert (!pop);

      // The count moves by what was written and read.
      if (past_valid && past_push && !past_pop) a_counts_up:   assert (count == past_count + 1);
      if (past_valid && past_pop && !past_push) a_counts_down: assert (count == past_count - 1);
      if (past_valid && past_push == past_pop)  a_count_stays: assert (count == past_count);

      // Data comes out as it went in, and in that order.
      a_tracked_held: assert (tracked_held == (count_t'(tracked_age) < count));
      if (tracked_held) a_tracked_kept: assert (entries_q[tracked] == tracked_data);
      if (pop && read_pointer_q == tracked) a_tracked_read: assert (read_data == tracked_data);
      a_in_order: assert (in_order);
      if (pop) a_oldest_first: assert (read_data == mirror[0]);

      // An entry that waits to be read stays.
      if (past_valid && past_waiting) a_hold: assert (read_valid && read_data == past_data);

      a_status_level: assert (status.level == level_q);
      a_almost_empty: assert (status.almost_empty == (count < 2));
      a_almost_full:  assert (status.almost_full == (count + 1 >= count_t'(DEPTH)));
    end
  end

  a_ready: assert property (@(posedge clk) disable iff (!rst_n) write_ready == (level_q != FULL));
  a_valid: assert property (@(posedge clk) disable iff (!rst_n) read_valid == (level_q != EMPTY));

  c_full:    cover property (@(posedge clk) disable iff (!rst_n) level_q == FULL && write_valid);
  c_wrapped: cover property (@(posedge clk) disable iff (!rst_n)
                             write_pointer_q < read_pointer_q && push && pop);
  c_tracked: cover property (@(posedge clk) disable iff (!rst_n)
                             pop && tracked_held && read_pointer_q == tracked && tracked == '1);
  c_drained: cover property (@(posedge clk) disable iff (!rst_n)
                             past_valid && past_pop && count == '0);

endmodule

bind fifo fifo_properties #(.WIDTH(WIDTH), .DEPTH(DEPTH)) u_properties (.*);
