// The first step of AES on one byte, SBOX[pt ^ key], in a pipeline of two registers.
//
// Not protected against power analysis: both registers hold values that depend on the key and on
// nothing unknown but the key, marked LEAK below. How many of their bits change tells it.
module sbox (
    input  logic       clk,
    input  logic       rst_n,
    input  logic       start,
    input  logic [7:0] key,    // secret
    input  logic [7:0] pt,
    output logic       done,   // for one cycle, 2 cycles after start
    output logic [7:0] y       // valid while done
);

  // FIPS 197, section 5.1.1, figure 7, row by row: the value of 0 is the first.
  localparam logic [255:0][7:0] SBOX = {
    128'h637c777bf26b6fc53001672bfed7ab76, 128'hca82c97dfa5947f0add4a2af9ca472c0,
    128'hb7fd9326363ff7cc34a5e5f171d83115, 128'h04c723c31896059a071280e2eb27b275,
    128'h09832c1a1b6e5aa0523bd6b329e32f84, 128'h53d100ed20fcb15b6acbbe394a4c58cf,
    128'hd0efaafb434d338545f9027f503c9fa8, 128'h51a3408f929d38f5bcb6da2110fff3d2,
    128'hcd0c13ec5f974417c4a77e3d645d1973, 128'h60814fdc222a908846eeb814de5e0bdb,
    128'he0323a0a4906245cc2d3ac629195e479, 128'he7c8376d8dd54ea96c56f4ea657aae08,
    128'hba78252e1ca6b4c6e8dd741f4bbd8b8a, 128'h703eb5664803f60e613557b986c11d9e,
    128'he1f8981169d98e949b1e87e9ce5528df, 128'h8ca1890dbfe6426841992d0fb054bb16
  };

  logic [7:0] x_q;
  logic       valid_q;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      x_q     <= '0;
      y       <= '0;
      valid_q <= 1'b0;
      done    <= 1'b0;
    end else begin
      if (start) x_q <= pt ^ key;               // LEAK: the key, but for what is public
      if (valid_q) y <= SBOX[8'd255 - x_q];     // LEAK: and here not linear any more
      valid_q <= start;
      done    <= valid_q;
    end
  end

endmodule
