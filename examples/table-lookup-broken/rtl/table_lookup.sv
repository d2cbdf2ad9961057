// Reads the word of a secret index from a table of 32 words that is loaded over a public port.
//
// Not constant time: the index is the address of the memory, whose cache answers at once or after
// wait states, and `busy` lasts until it does. The time tells whether the index is in the same
// eight words as the one before: the leak of AES tables in a processor's cache.
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

  logic [15:0] word_q;
  logic [4:0]  index_q;
  logic        ready;
  logic [15:0] data;

  cached_memory u_memory (
      .clk(clk), .rst_n(rst_n),
      .write(load && !start && !busy), .write_address(load_address), .write_data(load_data),
      .read(busy), .address(index_q), .ready(ready), .data(data)
  );

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      word_q  <= '0;
      index_q <= '0;
      busy    <= 1'b0;
      done    <= 1'b0;
    end else begin
      done <= 1'b0;
      if (busy && ready) begin
        word_q <= data;
        busy   <= 1'b0;
        done   <= 1'b1;
      end else if (!busy && start) begin
        index_q <= index;
        busy    <= 1'b1;
      end
    end
  end

  assign word = done ? word_q : '0;

endmodule
