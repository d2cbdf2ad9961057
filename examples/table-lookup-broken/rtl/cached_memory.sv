// A memory of 32 words behind a cache of one line of eight words.
//
// A read is held until `ready`. If the line is in the cache the word is there in the same cycle;
// if not, the eight words of the line are brought in first, one a cycle: nine wait states. This is
// the place where the address becomes time, marked LEAK below.
module cached_memory (
    input  logic        clk,
    input  logic        rst_n,
    input  logic        write,       // not together with a read; empties the cache
    input  logic [4:0]  write_address,
    input  logic [15:0] write_data,
    input  logic        read,
    input  logic [4:0]  address,     // line and word
    output logic        ready,
    output logic [15:0] data
);

  logic [15:0] memory_q [32];
  logic [15:0] line_q [8];
  logic [1:0]  tag_q;      // the line that is in the cache
  logic        valid_q;    // there is one
  logic        filling_q;
  logic [2:0]  fill_q;     // the word that is brought in

  assign ready = read && valid_q && tag_q == address[4:3];  // LEAK
  assign data  = line_q[address[2:0]];

  always_ff @(posedge clk) begin
    if (write) memory_q[write_address] <= write_data;
    if (filling_q) line_q[fill_q] <= memory_q[{tag_q, fill_q}];
  end

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      tag_q     <= '0;
      valid_q   <= 1'b0;
      filling_q <= 1'b0;
      fill_q    <= '0;
    end else if (write) begin
      valid_q <= 1'b0;
    end else if (filling_q) begin
      fill_q    <= fill_q + 3'd1;
      filling_q <= fill_q != '1;
      valid_q   <= fill_q == '1;
    end else if (read && !ready) begin
      tag_q     <= address[4:3];
      valid_q   <= 1'b0;
      filling_q <= 1'b1;
    end
  end

endmodule
