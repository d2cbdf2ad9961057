// Reads the word of a secret index from a table of 32 words that is loaded over a public port.
//
// Constant time: every lookup reads the whole table, a word a cycle in order, and a mask lets one
// word through. The address of the memory and the end of the scan come from `address_q` alone.
module table_lookup (
    input  logic        clk,
    input  logic        rst_n,
    // loads the table while not busy
    input  logic        load,
    input  logic [4:0]  load_address,
    input  logic [15:0] load_data,
    // looks up; a start goes before a load
    input  logic        start,         // heeded while not busy
    input  logic [4:0]  index,         // secret
    output logic        busy,
    output logic        done,          // for one cycle
    output logic [15:0] word           // valid while done, otherwise zero
);

  localparam logic [4:0] LAST = 5'd31;

  logic [15:0] table_q [32];
  logic [15:0] word_q;
  logic [4:0]  index_q, address_q;
  logic [15:0] mask;

  assign mask = {16{address_q == index_q}};

  always_ff @(posedge clk) begin
    if (load && !start && !busy) table_q[load_address] <= load_data;
  end

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      word_q    <= '0;
      index_q   <= '0;
      address_q <= '0;
      busy      <= 1'b0;
      done      <= 1'b0;
    end else begin
      done <= 1'b0;
      if (busy) begin
        word_q    <= word_q | (table_q[address_q] & mask);
        address_q <= address_q + 5'd1;
        if (address_q == LAST) begin
          busy <= 1'b0;
          done <= 1'b1;
        end
      end else if (start) begin
        word_q    <= '0;
        index_q   <= index;
        address_q <= '0;
        busy      <= 1'b1;
      end
    end
  end

  assign word = done ? word_q : '0;

endmodule
